"""What a hook is: its fields, the rules that check them, the modes. Nothing here calls, stores or shows one."""

__all__: list[str] = []

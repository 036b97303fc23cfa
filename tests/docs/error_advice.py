"""What a developer does about each error of `hookrow.errors`, and whether the same call may be made again."""

from __future__ import annotations

__all__ = ["ADVICE"]

NEVER, LATER = "no", "yes"

# Name: (raised by, what to do, worth a retry)
ADVICE: dict[str, tuple[str, str, str]] = {
    "InvalidHook": (
        "`hooks.add`, `update`, `ensure`",
        "Correct the fields in `problems`; each names its field.",
        NEVER,
    ),
    "InvalidImport": ("`hookrow import`, `import_hooks()`", "Correct the file; nothing was changed.", NEVER),
    "InvalidPayload": (
        "`fire`, `explain`, `replay`",
        "Send a JSON object without NaN, infinity, sets or dates.",
        NEVER,
    ),
    "InvalidSetting": ("`settings.set`", "`hookrow settings list` shows names and meanings.", NEVER),
    "InvalidTemplate": (
        "`hooks.add`, `update`, `condition_matches`",
        "Correct the body or condition at `line`, `column`: [templates](../templates.md).",
        NEVER,
    ),
    "HookNotFound": ("every call that names a hook", "Check the ID, key or name: `hookrow hooks list`.", NEVER),
    "EventNotFound": ("`fire`, `explain`, `hooks.add`", "Check the code, or pass the event in `events=`.", NEVER),
    "FiringNotFound": ("`log.get`, `replay`", "It was deleted by retention, or the ID is of another database.", NEVER),
    "DeliveryNotFound": (
        "`log.delivery`, `redeliver`",
        "It was deleted by retention, or the ID is of another database.",
        NEVER,
    ),
    "Ambiguous": ("every call that names a hook", "Use the ID or the key; `candidates` lists them.", NEVER),
    "KeyTaken": ("`hooks.add`, `update`", "Choose another key, or use `ensure()`.", NEVER),
    "ChangedMeanwhile": (
        "`hooks.update(revision=)`",
        "Somebody changed the hook: compare with `current`, then save with its revision.",
        "after comparing",
    ),
    "CandidateInTheWay": (
        "`hooks.update`, `rollback`, `new_secret`",
        "Promote or drop the hook's candidate first, or drop it with the change: `drop_candidate=True`.",
        NEVER,
    ),
    "IdempotencyConflict": (
        "`fire(idempotency_key=)`",
        "The same key came with another payload: make the key depend on the payload.",
        NEVER,
    ),
    "NotRedeliverable": ("`redeliver`", "Replay it instead, or give an address with `to=`.", NEVER),
    "Vetoed": ("`firing.raise_for_veto()`", "Answer your client with `veto.status` and `veto.message`.", NEVER),
    "DatabaseBusy": (
        "every call that writes",
        "Another transaction holds SQLite's write lock: shorten it, or use `connection=`.",
        LATER,
    ),
    "DatabaseReadOnly": ("every call that writes", "Give the user write access to the file and its folder.", NEVER),
    "DiskFull": (
        "every call that writes",
        "Free some space, or do what the message says: [full disk](../troubleshooting.md#the-disk-is-full).",
        "after that",
    ),
    "DatabaseDamaged": ("opening", "Restore a backup (`hookrow db backup` makes them).", NEVER),
    "Unrecorded": (
        "`redeliver`, `send_own`",
        "The receiver has it. Mend the storage; a worker may send it again, with the same `webhook-id`.",
        NEVER,
    ),
    "NoDatabase": ("opening with `create=False`; commands", "`hookrow init`, or check the path.", NEVER),
    "SchemaTooNew": ("opening", "Upgrade Hookrow in this process.", NEVER),
    "KeyMissing": ("calls that need a secret", "Put `hookrow.key` back, or set `HOOKROW_KEYS`.", "after that"),
    "KeyUnsafe": ("opening", "`chmod 600 hookrow.key`.", "after that"),
    "KeyWrong": ("calls that need a secret", "The key belongs to another database, or the value was changed.", NEVER),
    "TransactionMisuse": ("`fire(connection=, defer=)`, `enqueue`", "See [transactions](../transactions.md).", NEVER),
    "WrongDatabase": ("`fire(connection=)`", "Connect to the database that the engine uses.", NEVER),
    "UseAsyncEngine": (
        "`HookEngine` inside an event loop",
        "Use `AsyncHookEngine`, or `await engine.afire(…)`.",
        NEVER,
    ),
    "UnsupportedHost": (
        "making an engine; the first call after a fork",
        "Use real threads: `gunicorn -k gthread`, `celery --pool threads`.",
        NEVER,
    ),
    "EngineClosed": ("every call", "Don't use the engine after `close()`.", NEVER),
}

"""Django looks for `manage.py hookrow` here."""

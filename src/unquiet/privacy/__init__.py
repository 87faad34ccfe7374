"""Privacy: texts without what identifies people, user ids as keyed hashes."""

from unquiet.privacy.hashing import KEY_FILE, UserHasher, folder_key
from unquiet.privacy.redacting import Redactor

__all__ = ["KEY_FILE", "Redactor", "UserHasher", "folder_key"]

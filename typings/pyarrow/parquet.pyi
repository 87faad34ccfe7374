# pyarrow is compiled, and its functions of computation are made when it is imported: neither can be seen in its source.
from typing import Any

def __getattr__(name: str) -> Any: ...

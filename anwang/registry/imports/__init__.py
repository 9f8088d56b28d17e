"""Files of points, organisations and the base map: staged, checked, previewed, published as a whole."""

from anwang.registry.imports.model import (
    Import,
    ImportFault,
    ImportKind,
    ImportOptions,
    ImportStatus,
    Preview,
    PreviewRow,
)
from anwang.registry.imports.service import Imports

__all__ = ["Import", "ImportFault", "ImportKind", "ImportOptions", "ImportStatus", "Imports", "Preview", "PreviewRow"]

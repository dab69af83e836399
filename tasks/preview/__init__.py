"""Dataset previews: one self-contained HTML file per dataset, and the same facts as table rows."""

from tasks.preview.page import PREVIEW, current_preview, write_preview
from tasks.preview.summary import summary_tables

__all__ = ["PREVIEW", "current_preview", "summary_tables", "write_preview"]

"""A page to look at: one self-contained HTML file per dataset, and the same facts as plain rows."""

from tasks.preview.page import PREVIEW, write_preview
from tasks.preview.summary import summary_tables

__all__ = ["PREVIEW", "summary_tables", "write_preview"]

"""A page to look at: one self-contained HTML file per dataset, and the same facts as plain rows."""

from tasks.preview.page import write_preview
from tasks.preview.summary import summary_tables

__all__ = ["summary_tables", "write_preview"]

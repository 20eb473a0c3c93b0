//! Page shell, tables and SVG charts for self-contained HTML reports.

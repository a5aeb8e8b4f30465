"""From rows to totals to looks; the only place that reads records for analysis."""

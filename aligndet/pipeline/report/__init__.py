"""``report.html``: one page that tells what a run made."""

"""What keeps people from using a page with a keyboard, a screen reader or weak eyes, by the rules of axe-core."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

GRAVE = ("serious", "critical")


def grave_findings(page: Page) -> list[str]:
    """Each element that breaks a rule gravely, with the rule and what axe-core says of it."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['failureSummary']}: {node['html'][:300]}"
        for rule in violations
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]

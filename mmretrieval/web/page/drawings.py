"""The drawings of the page's buttons, as the inside of an SVG of 24 by 24 units; they are lines in one colour."""

from __future__ import annotations

_FRAME = '<rect x="3" y="4" width="18" height="16" rx="3"/>'

DRAWINGS = {
    "search": '<circle cx="11" cy="11" r="7"/><path d="m20 20-4-4"/>',
    "picture": _FRAME + '<circle cx="9" cy="10" r="1.6"/><path d="m4 18 5-5 4 4 3-3 4 4"/>',
    "use": _FRAME + '<path d="M12 8.5v7M8.5 12h7"/>',
    "right": '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
    "wrong": '<path d="m6 6 12 12M18 6 6 18"/>',
    "link": '<path d="M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1 1"/>'
    '<path d="M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1-1"/>',
    "theme": '<path d="M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5Z"/>',
    "settings": '<path d="M4 7h10M18 7h2M4 17h2M10 17h10"/>'
    '<circle cx="16" cy="7" r="2"/><circle cx="8" cy="17" r="2"/>',
    "info": '<circle cx="12" cy="12" r="9"/><path d="M12 11v5M12 8h.01"/>',
    "back": '<path d="m14.5 6-6 6 6 6"/>',
    "on": '<path d="m9.5 6 6 6-6 6"/>',
    "stack": '<rect x="7" y="7" width="13" height="13" rx="3"/><path d="M4 15V6a2 2 0 0 1 2-2h9"/>',
    "open": '<path d="M14 4h6v6M20 4l-8 8M10 5H6a2 2 0 0 0-2 2v11a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2v-4"/>',
}

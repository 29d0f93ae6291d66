"""The look of Gradio's own components: system fonts, quiet greys, one colour; nothing is fetched from elsewhere."""

from __future__ import annotations

import gradio as gr

_FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
_SIZES = {
    "block_padding": "0px",
    "block_title_text_weight": "500",
    "block_title_text_size": "13.5px",
    "block_info_text_size": "12.5px",
    "color_accent": "var(--mm-accent)",
    "input_text_size": "14px",
    "checkbox_label_text_size": "13.5px",
    "checkbox_label_padding": "6px 10px",
}
_COLOURS = {
    "body_background_fill": "var(--mm-paper)",
    "body_text_color": "var(--mm-ink)",
    "body_text_color_subdued": "var(--mm-muted)",
    "background_fill_primary": "var(--mm-paper)",
    "background_fill_secondary": "var(--mm-card)",
    "block_background_fill": "transparent",
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_label_text_color": "var(--mm-ink)",
    "block_title_text_color": "var(--mm-ink)",
    "block_info_text_color": "var(--mm-muted)",
    "border_color_primary": "var(--mm-line)",
    "border_color_accent": "var(--mm-accent)",
    "color_accent_soft": "var(--mm-accent-soft)",
    "input_background_fill": "var(--mm-field)",
    "input_border_color": "var(--mm-line-strong)",
    "input_border_color_focus": "var(--mm-accent)",
    "input_border_width": "1px",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "input_placeholder_color": "var(--mm-muted)",
    "button_primary_background_fill": "var(--mm-accent)",
    "button_primary_background_fill_hover": "var(--mm-accent-strong)",
    "button_primary_text_color": "var(--mm-on-accent)",
    "button_secondary_background_fill": "var(--mm-card)",
    "button_secondary_text_color": "var(--mm-ink)",
    "button_secondary_border_color": "var(--mm-line-strong)",
    "checkbox_background_color": "var(--mm-field)",
    "checkbox_background_color_selected": "var(--mm-accent)",
    "checkbox_border_color": "var(--mm-line-strong)",
    "checkbox_border_color_selected": "var(--mm-accent)",
    "checkbox_label_background_fill": "var(--mm-field)",
    "checkbox_label_background_fill_selected": "var(--mm-accent-soft)",
    "checkbox_label_text_color": "var(--mm-ink)",
    "checkbox_label_text_color_selected": "var(--mm-ink)",
    "checkbox_label_border_color": "var(--mm-line)",
    "slider_color": "var(--mm-accent)",
    "panel_background_fill": "transparent",
}


def theme() -> gr.themes.Base:
    """Colours are the variables of style.css, so that light and dark are defined in one place."""
    base = gr.themes.Base(font=_FONT, font_mono=_MONO, radius_size=gr.themes.sizes.radius_lg)
    return base.set(**_SIZES, **_COLOURS, **{f"{name}_dark": colour for name, colour in _COLOURS.items()})

"""The page: one module a tab, and what they share in looks. All that imports Gradio is here."""

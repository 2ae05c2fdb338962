"""Identity of patients: naming rules of public data sets, placeholders."""

"""Pages about a model: report, model card, monitoring, comparison. Never imports TFX."""

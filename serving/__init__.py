"""Everything around a finished model: export, local prediction, client, server, deployment."""

NOTICE = "Research software, not a medical device."

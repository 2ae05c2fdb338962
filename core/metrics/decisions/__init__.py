"""Metrics of what is done with a score: net benefit, prediction sets, referral."""

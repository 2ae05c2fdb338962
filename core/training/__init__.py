"""Trains ensemble members: head, fine-tuning and detector phases, then calibration."""

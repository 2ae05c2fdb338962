"""Trainer and Tuner: transfer learning on a frozen or partly fine-tuned backbone."""

"""What the model decides and what that is worth: flow of images, net benefit, prediction sets."""

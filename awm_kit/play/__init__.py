"""Playing: the match loop, controllers, the canvas, replays."""

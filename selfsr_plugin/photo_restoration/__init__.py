"""From photos to the same photos with their small faces restored: find, frame, restore, paste; files in and out."""

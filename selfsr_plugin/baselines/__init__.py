"""The methods that the paper compares with (Tables I and II); SelFSR itself uses nothing of it."""

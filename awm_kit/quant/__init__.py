"""From a float network to the exact integers that every home of a world runs."""

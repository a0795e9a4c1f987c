"""Which job goes next: the highest priority first; within it the owner with the fewest running jobs, of those the one
served longest ago; of its jobs the oldest.
"""

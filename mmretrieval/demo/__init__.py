"""The drawn world: pictures whose every fact is known, to try, test and teach with.

Food plates and natural scenes are pure functions of (seed, number). Nothing here knows anything about photographs.
"""

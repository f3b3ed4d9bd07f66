"""Time-lapses as microscopes and programs write them: frames one at a time, and outlines of cells that somebody drew.

Belongs here: what lies in the files, and when they are let in. Not here: what a pixel means and what is made of it (the
sciences), plates and their wells.
"""

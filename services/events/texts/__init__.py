"""What is kept of what people write, which is never the words: its length, a link, its language, a similarity hash.

`reading` makes it of a text, `language` and `similarity` are its parts. Pure; standard library only.
"""

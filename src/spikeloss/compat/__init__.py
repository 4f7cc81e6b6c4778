"""The peers' names and signatures, with the documented meaning: drop-in modules."""

"""The terminal interface of Hookrow. It speaks to the engine through the front door (`hookrow`) only."""

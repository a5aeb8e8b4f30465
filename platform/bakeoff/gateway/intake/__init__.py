"""Events and feedback: checked, resolved to units, committed."""

"""Offline judgement: ranking metrics and the gate. numpy only."""

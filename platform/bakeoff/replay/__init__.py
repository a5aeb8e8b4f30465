"""Replay a log as live traffic: would this have helped?"""

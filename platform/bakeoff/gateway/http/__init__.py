"""Requests and answers: bodies, fields, errors, access, rates."""

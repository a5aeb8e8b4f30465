"""The models that variants point to: trained, gated, registered, served. Knows no experiment."""

"""The routes of Azure Personalizer's clients, which change an address and a key."""

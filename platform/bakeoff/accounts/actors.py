"""Who acts where no person is named: the audit trail's `actor` of the platform and of a shell."""

PLATFORM = "platform"  # what nobody asked for
OPERATOR = "operator"  # whoever can run commands on the machine

"""What goes wrong for the reader of a command."""


class DeliveryError(Exception):
    """A mistake in what was asked, or in a file. The text is for the user: what, where, what is accepted."""

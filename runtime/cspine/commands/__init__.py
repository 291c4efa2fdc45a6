"""The command lines of the verbs that a device has without any extra."""

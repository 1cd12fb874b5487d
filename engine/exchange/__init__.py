"""Other programs and services: SAMP, DS9, catalogues and surveys on the network. Nothing here runs unasked."""

"""Every fault that must lose no paid pixel and pay for none twice, made to happen to the running product."""

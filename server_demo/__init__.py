"""Services to try things on: a greeter and two models, run as a service on EAS would be."""

"""Labels from simulation: demonstrations, contacts, affordance boxes and traces."""

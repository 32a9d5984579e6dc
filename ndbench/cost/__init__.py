"""What every operation and algorithm costs: counted where it runs, and predicted from shapes."""

"""One network trained or tested where data, network and training meet; retraining over seeds."""

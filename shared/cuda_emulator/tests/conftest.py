from coursekit.staff import workers

once = workers.once

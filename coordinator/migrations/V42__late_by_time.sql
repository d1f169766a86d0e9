-- A day without lines stays late for good. What is late is found by when it was recorded (sla_breaches_recorded), and what
-- comes by its key.
drop index sla_breaches_open;

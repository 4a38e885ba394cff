-- Of a webhook's address the log keeps where it is and no more: what follows may be a secret of its receiver. What was noted before is
-- cut to that.
UPDATE audit SET subject = substr(subject, 1, instr(subject, '://') + 2)
    || substr(substr(subject, instr(subject, '://') + 3), 1, instr(substr(subject, instr(subject, '://') + 3), '/') - 1)
  WHERE event IN ('webhook_set', 'webhook_secret_renewed', 'webhook_removed')
    AND instr(subject, '://') > 0 AND instr(substr(subject, instr(subject, '://') + 3), '/') > 0;

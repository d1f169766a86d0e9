-- Emitters whose files hold a whole month, and those that carry the newest dates only.

alter table emitters add column monthly boolean not null default false;
comment on column emitters.monthly is 'an output holds all dates of a month, and is written again when one of them changes';
alter table emitters add column lookback_days int;
comment on column emitters.lookback_days is 'only dates of the last so many days are emitted; null: all';

create function in_lookback(day date, days int, monthly boolean) returns boolean language sql stable as $$
  select days is null
    or case when monthly then date_trunc('month', day) >= date_trunc('month', (now() at time zone 'UTC')::date - days)
       else day >= (now() at time zone 'UTC')::date - days end
$$;
comment on function in_lookback is 'whether an emitter carries a date: a month counts whole while one of its dates does';

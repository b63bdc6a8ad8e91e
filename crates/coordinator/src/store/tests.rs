mod commit;
mod fixture;
mod full;
mod model;
mod open;
mod retention;
mod seal;
mod tasks;

mod chat_planner;
mod execute;
